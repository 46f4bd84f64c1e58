package openfl.events;

#if flash
typedef DataEvent = flash.events.DataEvent;
#else
@:native("openfl.events.DataEvent")
extern class DataEvent extends Event {
	static var DATA(default, never):String;
	var data:String;
}
#end
