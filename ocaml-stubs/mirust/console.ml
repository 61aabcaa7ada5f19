let write s =
  flush stdout;
  ignore (Abi.console_write s (String.length s) : int)
