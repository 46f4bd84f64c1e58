import openfl.events.DataEvent;
import openfl.events.Event;
import openfl.events.IOErrorEvent;
import openfl.net.XMLSocket;

/**
	The client's connection to the server. It reports the positions of all players in the room.
	After the connection is lost, it reconnects automatically.
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

	/** The room to join. **/
	public var room = "garden";

	/** The player's name. If it is null, the server chooses a name. **/
	public var name:String = null;

	var socket = new XMLSocket();
	var host:String;
	var port:Int;
	var token:String = null;
	var waiting = false;
	var over = false;

	public function new() {
		socket.addEventListener(Event.CONNECT, onConnect);
		socket.addEventListener(DataEvent.DATA, onData);
		socket.addEventListener(Event.CLOSE, onEnd);
		socket.addEventListener(IOErrorEvent.IO_ERROR, onEnd);
	}

	public function connect(host:String, port:Int):Void {
		this.host = host;
		this.port = port;
		socket.connect(host, port);
	}

	public function close():Void {
		over = true;
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
		say("set", ["key" => "at", "value" => '$x,$y']);
		// The server sends the position to the other players only, so move our own dot here.
		onMove(name, x, y);
	}

	function onConnect(_):Void {
		if (token == null) {
			join();
		} else {
			// The server keeps the membership for 30 seconds.
			say("resume", ["token" => token]);
		}
	}

	function onEnd(_):Void {
		// OpenFL HTML5 dispatches both ioError and close if the connection is refused.
		if (over || waiting) {
			return;
		}
		waiting = true;
		onState("reconnecting");
		haxe.Timer.delay(function() {
			waiting = false;
			if (!over) {
				socket.connect(host, port);
			}
		}, 1000);
	}

	function join():Void {
		say("join", name == null ? ["room" => room] : ["room" => room, "name" => name]);
	}

	function say(element:String, attributes:Map<String, String>):Void {
		var message = Xml.createElement(element);
		for (key => value in attributes) {
			message.set(key, value);
		}
		socket.send(message.toString());
	}

	function onData(event:DataEvent):Void {
		// In native programs, the data ends with the NUL byte.
		var message = Xml.parse(event.data.split("\x00")[0]).firstElement();
		switch (message.nodeName) {
			case "welcome":
				name = message.get("name");
				onState('$name in ${message.get("room")}');
				token = message.get("token");
				tell();
				// Request the list of members, with their positions.
				say("who", []);
			case "who":
				for (member in message.elementsNamed("member")) {
					for (data in member.elementsNamed("data")) {
						place(member.get("name"), data);
					}
				}
			case "set":
				place(message.get("name"), message);
			case "left":
				onGone(message.get("name"));
			case "error" if (message.get("code") == "token"):
				// The membership has expired.
				token = null;
				join();
			case "error":
				onState(message.get("code"));
		}
	}

	function place(who:String, data:Xml):Void {
		if (data.get("key") == "at") {
			var position = data.get("value").split(",").map(Std.parseInt);
			onMove(who, position[0], position[1]);
		}
	}
}
