type page = (char, Bigarray.int8_unsigned_elt, Bigarray.c_layout) Bigarray.Array1.t
type handle

external map : unit -> int -> int -> bool -> handle * page = "mirage_xen_gnttab_map"
external mapv : unit -> int array -> bool -> handle * page = "mirage_xen_gnttab_mapv"
external unmap : unit -> handle -> unit = "mirage_xen_gnttab_unmap"
external nr_entries : unit -> int = "mirage_xen_gnttab_get_nr_entries"
external nr_reserved : unit -> int = "mirage_xen_gnttab_get_nr_reserved"
external grant : int -> page -> int -> bool -> unit = "mirage_xen_gnttab_grant_access"
external end_access : int -> bool = "mirage_xen_gnttab_end_access"
