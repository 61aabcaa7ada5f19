type t = Mirage_block.info = { read_write : bool; sector_size : int; size_sectors : int64 }
