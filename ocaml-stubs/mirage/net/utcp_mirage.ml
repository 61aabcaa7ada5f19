(* `mirage configure --utcp` chooses another TCP of Mirage's. Ours stands in for either. *)
module Make (Ip : Mirust_mirage_types.Ip_ext.S with type ipaddr = Ipaddr.t) = struct
  include Tcp.Flow.Make (Ip)

  (* That one does not wait, and neither does ours. *)
  let connect (_ : string) ip =
    match Lwt.state (connect ip) with
    | Return t -> t
    | Fail e -> raise e
    | Sleep -> failwith "TCP is not there at once"
end
