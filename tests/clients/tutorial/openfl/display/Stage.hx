package openfl.display;

#if flash
typedef Stage = flash.display.Stage;
#else
@:native("openfl.display.Stage")
extern class Stage extends openfl.events.EventDispatcher {}
#end
