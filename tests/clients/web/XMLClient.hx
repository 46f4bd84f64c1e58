import flash.events.DataEvent;
import flash.events.Event;
import flash.net.XMLSocket;
import haxe.Json;

/**
	Send each message and one of so many characters, if there are such; answer each message that is ASK with REPLY.
**/
class XMLClient {
	static function main() {
		var socket = new XMLSocket();
		socket.addEventListener(Event.CONNECT, function(_) {
			Program.report(["connect", socket.connected]);
			var messages:Array<String> = Json.parse(Program.parameter("messages"));
			for (message in messages) {
				socket.send(message);
			}
			var long = Program.parameter("long");
			if (long != null) {
				socket.send(StringTools.lpad("", "x", Std.parseInt(long)));
			}
		});
		socket.addEventListener(DataEvent.DATA, function(event:DataEvent) {
			Program.report(["data", event.data]);
			if (event.data == Program.parameter("ask")) {
				socket.send(Program.parameter("reply"));
			}
		});
		Program.reportEnd(socket);
		socket.connect(Program.host, Program.port);
	}
}
