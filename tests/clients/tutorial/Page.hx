/**
	Shows the tutorial's picture in a page, as OpenFL's own start-up code would, and reports what the board tells.
**/
class Page {
	static function main() {
		var picture = new Main();
		#if flash
		flash.Lib.current.addChild(picture);
		#else
		// In the page: it knows all of OpenFL, and here is only what the tutorial uses.
		js.Syntax.code("stage.addChild({0})", picture);
		#end
		var board = @:privateAccess picture.board;
		var onMove = board.onMove, onGone = board.onGone, onState = board.onState;
		board.onMove = function(who, x, y) {
			onMove(who, x, y);
			report(["move", who, x, y]);
		};
		board.onGone = function(who) {
			onGone(who);
			report(["gone", who]);
		};
		board.onState = function(state) {
			onState(state);
			report(["state", state]);
		};
	}

	static function report(happened:Array<Dynamic>):Void {
		#if flash
		Reflect.callMethod(null, flash.external.ExternalInterface.call, (["report"] : Array<Dynamic>).concat(happened));
		#else
		js.Syntax.code("report(...{0})", happened);
		#end
	}
}
