import openfl.Lib;

/**
	SquaresMain HOST PORT: run the client of the manual.
**/
class SquaresMain {
	static function main() {
		var arguments = Sys.args();
		new SquaresClient(arguments[0], Std.parseInt(arguments[1]));
		Lib.loop(10);
	}
}
