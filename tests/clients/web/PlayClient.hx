import flash.events.DataEvent;
import flash.events.Event;
import flash.net.XMLSocket;

/**
	Send a message, and answer each message that is ASK with REPLY, if there is such a parameter. Unlike the other programs, it needs
	no page with a script.
**/
class PlayClient {
	static function main() {
		var reply:Null<String> = Reflect.field(flash.Lib.current.loaderInfo.parameters, "reply");
		var socket = new XMLSocket();
		socket.addEventListener(Event.CONNECT, function(_) socket.send("<here/>"));
		socket.addEventListener(DataEvent.DATA, function(event:DataEvent) {
			if (event.data == "<ask/>") {
				socket.send(reply == null ? "<reply/>" : reply);
			}
		});
		socket.connect("localhost", 8001);
	}
}
