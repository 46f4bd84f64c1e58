package openfl.display;

import openfl.events.EventDispatcher;

class DisplayObject extends EventDispatcher {
	public var stage:Dynamic;
	public var parent:DisplayObjectContainer;
}
