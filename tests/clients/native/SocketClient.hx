import haxe.Json;
import openfl.Lib;
import openfl.events.Event;
import openfl.events.ProgressEvent;
import openfl.net.Socket;

/**
	SocketClient HOST PORT UNTIL GREETING TEXT: send TEXT when connected, or if GREETING is not empty, when that has come;
	print all that has come as JSON when UNTIL stands at its end, and leave.
**/
class SocketClient {
	static function main() {
		var arguments = Sys.args();
		var until = arguments[2];
		var greeting = arguments[3];
		var received = "";

		var socket = new Socket();
		function send() {
			socket.writeUTFBytes(arguments[4]);
			socket.flush();
		}
		socket.addEventListener(Event.CONNECT, function(_) {
			if (greeting == "") {
				send();
			}
		});
		socket.addEventListener(ProgressEvent.SOCKET_DATA, function(_) {
			received += socket.readUTFBytes(socket.bytesAvailable);
			if (greeting != "" && StringTools.endsWith(received, greeting)) {
				greeting = "";
				send();
			}
			if (StringTools.endsWith(received, until)) {
				Sys.println(Json.stringify(received));
				socket.close();
				Lib.quit = true;
			}
		});
		socket.connect(arguments[0], Std.parseInt(arguments[1]));
		Lib.loop(10);
	}
}
