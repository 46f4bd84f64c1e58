package openfl.events;

#if flash
typedef IOErrorEvent = flash.events.IOErrorEvent;
#else
@:native("openfl.events.IOErrorEvent")
extern class IOErrorEvent extends Event {
	static var IO_ERROR(default, never):String;
}
#end
