package openfl.display;

#if flash
typedef DisplayObject = flash.display.DisplayObject;
#else
@:native("openfl.display.DisplayObject")
extern class DisplayObject extends openfl.events.EventDispatcher {
	var x:Float;
	var y:Float;
	var width:Float;
	var stage(default, never):Stage;
}
#end
