package openfl.display;

class DisplayObjectContainer extends InteractiveObject {
	public var numChildren = 0;

	public function getChildAt(index:Int):Dynamic {
		return null;
	}

	public function getChildByName(name:String):Dynamic {
		return null;
	}
}
