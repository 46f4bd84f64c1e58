package {
	public dynamic class XMLList {
		public function XMLList(value:* = null) {}
	}
}
