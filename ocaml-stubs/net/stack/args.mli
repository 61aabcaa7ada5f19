(** The boot parameters of a network stack, in Mirage's words.

    {v --ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1 --ipv6=2001:db8::2/64 --ipv6-gateway=fe80::1 v} *)

(** [group] is a prefix of all names, for a second interface: with ["service"],
    [--service-ipv4=...].

    - [--ipv4=CIDR], [--ipv4-gateway=IP], or [--dhcp];
    - [--ipv6=CIDR], [--ipv6-gateway=IP], [--accept-router-advertisements=BOOL] (default true);
    - [--ipv4-only], [--ipv6-only]. *)
val config : ?group:string -> unit -> Stack.config Cmdliner.Term.t

(** The section of the manual that lists them. *)
val section : string
