package openfl.display;

#if flash
typedef Graphics = flash.display.Graphics;
#else
@:native("openfl.display.Graphics")
extern class Graphics {
	function beginFill(color:Int):Void;
	function endFill():Void;
	function lineStyle(thickness:Float, color:Int):Void;
	function moveTo(x:Float, y:Float):Void;
	function lineTo(x:Float, y:Float):Void;
	function drawRect(x:Float, y:Float, width:Float, height:Float):Void;
	function drawCircle(x:Float, y:Float, radius:Float):Void;
}
#end
