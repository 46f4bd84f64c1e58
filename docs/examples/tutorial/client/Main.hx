import openfl.display.Sprite;
import openfl.events.Event;
import openfl.events.KeyboardEvent;
import openfl.text.TextField;
import openfl.ui.Keyboard;

/**
	Draws the board with a dot for each player. The arrow keys move our own dot.
**/
class Main extends Sprite {
	static inline var SQUARE = 24;

	var board = new Board();
	var dots = new Map<String, Sprite>();
	var state = new TextField();

	public function new() {
		super();
		addEventListener(Event.ADDED_TO_STAGE, onStage);
	}

	function onStage(_):Void {
		var side = Board.SIZE * SQUARE;
		graphics.beginFill(0xF4F2EE);
		graphics.drawRect(0, 0, side, side);
		graphics.endFill();
		graphics.lineStyle(1, 0xDDD8CE);
		for (line in 0...Board.SIZE + 1) {
			graphics.moveTo(line * SQUARE, 0);
			graphics.lineTo(line * SQUARE, side);
			graphics.moveTo(0, line * SQUARE);
			graphics.lineTo(side, line * SQUARE);
		}
		state.y = side + 4;
		state.width = side;
		addChild(state);

		board.onMove = onMove;
		board.onGone = onGone;
		board.onState = function(text) state.text = text;
		stage.addEventListener(KeyboardEvent.KEY_DOWN, onKey);
		board.connect(Settings.host(), Settings.port());
	}

	function onKey(event:KeyboardEvent):Void {
		switch (event.keyCode) {
			case Keyboard.LEFT:
				board.step(-1, 0);
			case Keyboard.RIGHT:
				board.step(1, 0);
			case Keyboard.UP:
				board.step(0, -1);
			case Keyboard.DOWN:
				board.step(0, 1);
		}
	}

	function onMove(who:String, x:Int, y:Int):Void {
		var dot = dots[who];
		if (dot == null) {
			dot = dots[who] = new Sprite();
			dot.graphics.beginFill(colorOf(who));
			dot.graphics.drawCircle(SQUARE / 2, SQUARE / 2, SQUARE / 2 - 3);
			dot.graphics.endFill();
			addChild(dot);
		}
		dot.x = x * SQUARE;
		dot.y = y * SQUARE;
	}

	function onGone(who:String):Void {
		if (dots.exists(who)) {
			removeChild(dots[who]);
			dots.remove(who);
		}
	}

	/** A name has the same color in all programs. **/
	static function colorOf(who:String):Int {
		var colors = [0x1A6B8F, 0xB4532A, 0x4F7A28, 0x7A4E9C, 0xC28F1B, 0xA83A5B];
		var sum = 0;
		for (index in 0...who.length) {
			sum += who.charCodeAt(index);
		}
		return colors[sum % colors.length];
	}
}
