package openfl.net;

#if flash
typedef XMLSocket = flash.net.XMLSocket;
#else
@:native("openfl.net.XMLSocket")
extern class XMLSocket extends openfl.events.EventDispatcher {
	function new():Void;
	var connected(default, never):Bool;
	function connect(host:String, port:Int):Void;
	function send(message:Dynamic):Void;
	function close():Void;
}
#end
