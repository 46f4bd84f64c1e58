import haxe.Json;
import openfl.events.DataEvent;
import openfl.events.Event;
import openfl.net.XMLSocket;

/**
	Sends a move, and shows the moves of all players.
**/
class SquaresClient {
	var socket = new XMLSocket();

	public function new(host:String, port:Int) {
		socket.addEventListener(Event.CONNECT, function(_) move(3, 4));
		socket.addEventListener(DataEvent.DATA, onData);
		socket.connect(host, port);
	}

	public function move(x:Int, y:Int):Void {
		socket.send(Json.stringify({type: "move", x: x, y: y}));
	}

	function onData(event:DataEvent):Void {
		// In native programs, the text ends with the NUL byte.
		var message = Json.parse(event.data.split("\x00")[0]);
		if (message.type == "moved") {
			trace('a player has moved to ${message.x}, ${message.y}');
		}
	}
}
