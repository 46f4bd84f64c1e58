package openfl.events;

#if flash
typedef KeyboardEvent = flash.events.KeyboardEvent;
#else
@:native("openfl.events.KeyboardEvent")
extern class KeyboardEvent extends Event {
	static var KEY_DOWN(default, never):String;
	var keyCode:Int;
}
#end
