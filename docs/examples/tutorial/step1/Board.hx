import openfl.events.DataEvent;
import openfl.events.Event;
import openfl.events.IOErrorEvent;
import openfl.net.XMLSocket;

/**
	The client's connection to the server. It reports the positions of all players.
**/
class Board {
	public static inline var SIZE = 16;

	/** Called with the name of a player who has moved, and the new position. **/
	public var onMove:(who:String, x:Int, y:Int) -> Void = (_, _, _) -> {};

	/** Called with the name of a player who has left. **/
	public var onGone:(who:String) -> Void = _ -> {};

	/** Called with the state of the connection, as text. **/
	public var onState:(state:String) -> Void = _ -> {};

	/** The player's own position. **/
	public var x(default, null) = Std.random(SIZE);

	public var y(default, null) = Std.random(SIZE);

	var socket = new XMLSocket();

	public function new() {
		socket.addEventListener(Event.CONNECT, function(_) {
			onState("connected");
			// The dot appears on the board with the first move.
			tell();
		});
		socket.addEventListener(DataEvent.DATA, onData);
		socket.addEventListener(Event.CLOSE, function(_) onState("closed"));
		socket.addEventListener(IOErrorEvent.IO_ERROR, function(_) onState("no server"));
	}

	public function connect(host:String, port:Int):Void {
		socket.connect(host, port);
	}

	public function close():Void {
		socket.close();
	}

	/** Move one square in one of the four directions. **/
	public function step(dx:Int, dy:Int):Void {
		if (socket.connected && x + dx >= 0 && x + dx < SIZE && y + dy >= 0 && y + dy < SIZE) {
			x += dx;
			y += dy;
			tell();
		}
	}

	function tell():Void {
		socket.send('<move x="$x" y="$y"/>');
	}

	function onData(event:DataEvent):Void {
		// In native programs, the data ends with the NUL byte.
		var message = Xml.parse(event.data.split("\x00")[0]).firstElement();
		switch (message.nodeName) {
			case "at":
				onMove(message.get("who"), Std.parseInt(message.get("x")), Std.parseInt(message.get("y")));
			case "gone":
				onGone(message.get("who"));
		}
	}
}
