import openfl.Lib;

/**
	Walker HOST PORT STEP UNTIL: be a player of the tutorial without a picture, print what the board tells, take a step to the
	side when a line begins with STEP, and leave when one begins with UNTIL.
**/
class Walker {
	static function main() {
		var arguments = Sys.args();
		var board = new Board();
		var said = function(line:String) {
			Sys.println(line);
			if (StringTools.startsWith(line, arguments[2])) {
				board.step(board.x > 0 ? -1 : 1, 0);
			}
			if (StringTools.startsWith(line, arguments[3])) {
				board.close();
				Lib.quit = true;
			}
		};
		board.onState = said;
		board.onGone = function(who) said('gone $who');
		board.onMove = function(who, x, y) said('$who $x,$y');
		board.connect(arguments[0], Std.parseInt(arguments[1]));
		Lib.loop(15);
	}
}
