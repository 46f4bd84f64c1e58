import haxe.Json;
import openfl.Lib;
import openfl.events.DataEvent;
import openfl.events.Event;
import openfl.events.IOErrorEvent;
import openfl.net.XMLSocket;

/**
	XMLClient HOST PORT COUNT REPLY MESSAGE...: send the messages, print what comes as JSON, answer the first message that
	comes with REPLY if that is not empty, and leave after COUNT messages.
**/
class XMLClient {
	static function main() {
		var arguments = Sys.args();
		var host = arguments.shift();
		var port = Std.parseInt(arguments.shift());
		var count = Std.parseInt(arguments.shift());
		var reply = arguments.shift();

		var socket = new XMLSocket();
		socket.addEventListener(Event.CONNECT, function(_) {
			Sys.println("connect " + socket.connected);
			for (message in arguments) {
				socket.send(message);
			}
		});
		socket.addEventListener(DataEvent.DATA, function(event:DataEvent) {
			Sys.println("data " + Json.stringify(event.data));
			if (reply != "") {
				socket.send(reply);
				reply = "";
			}
			count--;
			if (count == 0) {
				socket.close();
				Lib.quit = true;
			}
		});
		socket.addEventListener(IOErrorEvent.IO_ERROR, function(_) {
			Sys.println("ioError");
			Lib.quit = true;
		});
		socket.connect(host, port);
		Lib.loop(10);
	}
}
