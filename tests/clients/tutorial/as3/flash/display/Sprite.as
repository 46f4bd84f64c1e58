package flash.display {
	public class Sprite extends DisplayObject {
		public var graphics:Graphics;
		public function addChild(child:DisplayObject):DisplayObject { return child; }
		public function removeChild(child:DisplayObject):DisplayObject { return child; }
	}
}
