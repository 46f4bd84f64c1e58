import openfl.events.DataEvent;
import openfl.events.Event;
import openfl.events.IOErrorEvent;
import openfl.net.XMLSocket;

/**
	Where everybody in a room is, as the server tells it.
	It comes back by itself after the connection has broken.
**/
class Board {
	public static inline var SIZE = 16;

	/** Called with who has moved, and the field. **/
	public var onMove:(who:String, x:Int, y:Int) -> Void = (_, _, _) -> {};

	/** Called with who has gone. **/
	public var onGone:(who:String) -> Void = _ -> {};

	/** Called with a word on how it is. **/
	public var onState:(state:String) -> Void = _ -> {};

	/** Our own field. **/
	public var x(default, null) = Std.random(SIZE);

	public var y(default, null) = Std.random(SIZE);

	/** Which room to go to, and how to be called there; the server makes a name for who has none. **/
	public var room = "garden";

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

	/** Go one field further, in one of the four directions. **/
	public function step(dx:Int, dy:Int):Void {
		if (socket.connected && x + dx >= 0 && x + dx < SIZE && y + dy >= 0 && y + dy < SIZE) {
			x += dx;
			y += dy;
			tell();
		}
	}

	function tell():Void {
		say("set", ["key" => "at", "value" => '$x,$y']);
		// The others hear it from the server; this is our own dot.
		onMove(name, x, y);
	}

	function onConnect(_):Void {
		if (token == null) {
			join();
		} else {
			// The server keeps our place for a while.
			say("resume", ["token" => token]);
		}
	}

	function onEnd(_):Void {
		// OpenFL HTML5 says both ioError and close if there is no server.
		if (over || waiting) {
			return;
		}
		waiting = true;
		onState("connecting again");
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
		// A native program leaves the zero byte at the end.
		var message = Xml.parse(event.data.split("\x00")[0]).firstElement();
		switch (message.nodeName) {
			case "welcome":
				name = message.get("name");
				onState('$name in ${message.get("room")}');
				token = message.get("token");
				tell();
				// Who is here, and where?
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
				// It took too long, and our place is gone.
				token = null;
				join();
			case "error":
				onState(message.get("code"));
		}
	}

	function place(who:String, data:Xml):Void {
		if (data.get("key") == "at") {
			var field = data.get("value").split(",").map(Std.parseInt);
			onMove(who, field[0], field[1]);
		}
	}
}
