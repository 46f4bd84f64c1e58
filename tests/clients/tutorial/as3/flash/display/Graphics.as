package flash.display {
	public class Graphics {
		public function beginFill(color:uint):void {}
		public function endFill():void {}
		public function drawCircle(x:Number, y:Number, radius:Number):void {}
	}
}
