package openfl;

import openfl.display.DisplayObject;
import openfl.events.Event;

/**
	Stands in for Lime's application loop: OpenFL's sockets are polled at each ENTER_FRAME of the current display object.
**/
class Lib {
	public static var current:DisplayObject = new DisplayObject();
	public static var quit = false;

	public static function notImplemented(?position:haxe.PosInfos):Void {}

	public static function loop(seconds:Float, framesPerSecond = 60.0):Void {
		var end = Sys.time() + seconds;
		while (!quit && Sys.time() < end) {
			current.dispatchEvent(new Event(Event.ENTER_FRAME));
			Sys.sleep(1 / framesPerSecond);
		}
	}
}
