package openfl._internal;

typedef Lib = openfl.Lib;
