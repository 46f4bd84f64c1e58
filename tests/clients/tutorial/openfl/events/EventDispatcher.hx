package openfl.events;

#if flash
typedef EventDispatcher = flash.events.EventDispatcher;
#else
@:native("openfl.events.EventDispatcher")
extern class EventDispatcher {
	function addEventListener(type:String, listener:Dynamic -> Void):Void;
}
#end
