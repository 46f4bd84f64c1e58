package {
	public dynamic class XML {
		public function XML(value:* = null) {}
		public function name():* { return null; }
	}
}
