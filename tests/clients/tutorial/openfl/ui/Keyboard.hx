package openfl.ui;

#if flash
typedef Keyboard = flash.ui.Keyboard;
#else
class Keyboard {
	static inline var LEFT = 37;
	static inline var UP = 38;
	static inline var RIGHT = 39;
	static inline var DOWN = 40;
}
#end
