package openfl.events;

#if flash
typedef Event = flash.events.Event;
#else
@:native("openfl.events.Event")
extern class Event {
	static var CONNECT(default, never):String;
	static var CLOSE(default, never):String;
	static var ADDED_TO_STAGE(default, never):String;
	var type(default, never):String;
}
#end
