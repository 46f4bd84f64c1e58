package openfl.text;

#if flash
typedef TextField = flash.text.TextField;
#else
@:native("openfl.text.TextField")
extern class TextField extends openfl.display.DisplayObject {
	function new():Void;
	var text:String;
}
#end
