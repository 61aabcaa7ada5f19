(** The files of a disk as a read-only store: what Mirage's [Mirage_kv.RO] asks for.

    The disk holds an EROFS image, as [mkfs.erofs disk.erofs folder/] makes it, without compression.
    A key is a path in it, and a directory is a dictionary. Symbolic links are followed. Nothing is
    read before it is needed.

    Whatever an image contains, the result is a value or an error. *)

(** [`Failed]: an error of the disk or damage of the image, as a message for people. *)
type error = [ Mirage_kv.error | `Failed of string ]

include Mirage_kv.RO with type error := error

(** [connect name] is the store on the disk [name], which the parameter [--disk=NAME:DEVICE] assigns
    to a device, as for {!Mirust_block.Block}. It waits until the disk is there. A disk is opened
    once, and shared by all that connect to it.

    @raise Failure if there is no such disk, or no image on it that can be read. *)
val connect : string -> t Lwt.t

(** [digest] is the MD5 of a value of up to 256 KiB. For a larger one it is the MD5 of the digests
    of its 256 KiB pieces, so that no more than that is in memory. A dictionary has neither a digest
    nor a [size]: [`Value_expected]. *)
