include Mirust_block.Block

let connect name = Mirust_block.Block.connect name
