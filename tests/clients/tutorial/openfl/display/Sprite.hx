package openfl.display;

#if flash
typedef Sprite = flash.display.Sprite;
#else
@:native("openfl.display.Sprite")
extern class Sprite extends DisplayObject {
	function new():Void;
	var graphics(default, never):Graphics;
	function addChild(child:DisplayObject):DisplayObject;
	function removeChild(child:DisplayObject):DisplayObject;
}
#end
