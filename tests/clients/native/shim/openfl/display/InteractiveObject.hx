package openfl.display;

class InteractiveObject extends DisplayObject {}
