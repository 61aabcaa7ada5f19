type t = { read_write : bool; sector_size : int; size_sectors : int64 }
