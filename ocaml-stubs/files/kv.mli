(** The files of a disk as a read-only store: what Mirage's [Mirage_kv.RO] asks for.

    On the disk is an image of the format EROFS, as [mkfs.erofs disk.erofs folder/] makes it,
    without compression. A key is a path in it, a directory is a dictionary. Symbolic links stand
    for what they lead to. Nothing is read before it is asked for.

    Whatever an image says, it gives a value or an error. *)

(** [`Failed] is what the disk or a damaged image is to blame for, as a message for people. *)
type error = [ Mirage_kv.error | `Failed of string ]

include Mirage_kv.RO with type error := error

(** [connect name] is the store on the disk that the program calls [name]: the parameter
    [--disk=NAME:DEVICE] says which device that is, as for {!Mirust_block.Block}. It waits until the
    disk is there. A disk is opened once, and shared by those who connect to it.

    @raise Failure if there is no such disk, or no image on it that can be read. *)
val connect : string -> t Lwt.t

(** [digest] is the MD5 of a value of up to 256 KiB, and else the MD5 of those of its pieces of that
    size, so that no more is in memory. A dictionary has neither that nor a [size]:
    [`Value_expected]. *)
