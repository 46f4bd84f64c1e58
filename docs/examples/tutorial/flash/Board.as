package {
	import flash.display.Sprite;
	import flash.events.DataEvent;
	import flash.events.Event;
	import flash.events.IOErrorEvent;
	import flash.events.KeyboardEvent;
	import flash.events.SecurityErrorEvent;
	import flash.events.TimerEvent;
	import flash.net.XMLSocket;
	import flash.text.TextField;
	import flash.ui.Keyboard;
	import flash.utils.Timer;

	/**
	 * The board of step 3 as a program for AIR and Flash Player.
	 */
	public class Board extends Sprite {
		private static const SIZE:int = 16;
		private static const SQUARE:int = 24;
		private static const COLORS:Array = [0x1A6B8F, 0xB4532A, 0x4F7A28, 0x7A4E9C, 0xC28F1B, 0xA83A5B];

		private const socket:XMLSocket = new XMLSocket();
		private const again:Timer = new Timer(1000, 1);
		private const state:TextField = new TextField();
		private const dots:Object = {};
		private var ownName:String;
		private var token:String;
		private var column:int = Math.random() * SIZE;
		private var row:int = Math.random() * SIZE;

		public function Board() {
			state.y = SIZE * SQUARE + 4;
			state.width = SIZE * SQUARE;
			addChild(state);
			socket.addEventListener(Event.CONNECT, onConnect);
			socket.addEventListener(DataEvent.DATA, onData);
			socket.addEventListener(Event.CLOSE, onEnd);
			socket.addEventListener(IOErrorEvent.IO_ERROR, onEnd);
			// Only Flash Player dispatches this event: AIR requests no policy file.
			socket.addEventListener(SecurityErrorEvent.SECURITY_ERROR, onSecurityError);
			again.addEventListener(TimerEvent.TIMER, onTimer);
			stage.addEventListener(KeyboardEvent.KEY_DOWN, onKey);
			connect();
		}

		private function connect():void {
			socket.connect(loaderInfo.parameters.host || "127.0.0.1", int(loaderInfo.parameters.port) || 8080);
		}

		private function onConnect(event:Event):void {
			if (token) {
				socket.send(<resume token={token}/>);
			} else {
				socket.send(<join room="garden"/>);
			}
		}

		private function onData(event:DataEvent):void {
			var message:XML = new XML(event.data);
			switch (String(message.name())) {
				case "welcome":
					ownName = message.@name;
					token = message.@token;
					state.text = ownName + " in " + message.@room;
					tell();
					socket.send(<who/>);
					break;
				case "who":
					for each (var member:XML in message.member) {
						for each (var data:XML in member.data.(@key == "at")) {
							place(member.@name, data.@value);
						}
					}
					break;
				case "set":
					if (message.@key == "at") {
						place(message.@name, message.@value);
					}
					break;
				case "left":
					if (dots[message.@name]) {
						removeChild(dots[message.@name]);
						delete dots[message.@name];
					}
					break;
				case "error":
					if (message.@code == "token") {
						token = null;
						socket.send(<join room="garden"/>);
					} else {
						state.text = message.@code;
					}
					break;
			}
		}

		private function onEnd(event:Event):void {
			state.text = "reconnecting";
			again.reset();
			again.start();
		}

		private function onTimer(event:TimerEvent):void {
			connect();
		}

		private function onSecurityError(event:SecurityErrorEvent):void {
			state.text = event.text;
		}

		private function onKey(event:KeyboardEvent):void {
			var dx:int = int(event.keyCode == Keyboard.RIGHT) - int(event.keyCode == Keyboard.LEFT);
			var dy:int = int(event.keyCode == Keyboard.DOWN) - int(event.keyCode == Keyboard.UP);
			if (socket.connected && ownName && (dx || dy)) {
				column = Math.max(0, Math.min(SIZE - 1, column + dx));
				row = Math.max(0, Math.min(SIZE - 1, row + dy));
				tell();
			}
		}

		private function tell():void {
			var square:String = column + "," + row;
			socket.send(<set key="at" value={square}/>);
			place(ownName, square);
		}

		private function place(who:String, value:String):void {
			var square:Array = value.split(",");
			var dot:Sprite = dots[who];
			if (!dot) {
				dot = dots[who] = new Sprite();
				dot.graphics.beginFill(colorOf(who));
				dot.graphics.drawCircle(SQUARE / 2, SQUARE / 2, SQUARE / 2 - 3);
				dot.graphics.endFill();
				addChild(dot);
			}
			dot.x = square[0] * SQUARE;
			dot.y = square[1] * SQUARE;
		}

		private function colorOf(who:String):uint {
			var sum:int = 0;
			for (var index:int = 0; index < who.length; index++) {
				sum += who.charCodeAt(index);
			}
			return COLORS[sum % COLORS.length];
		}
	}
}
