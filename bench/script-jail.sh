#!/bin/sh
# The same jail by a script of `ip netns` and `nft -f`, as a careful administrator would write it: the peer of the bar
# "at least 6 times faster". No ip_forward in the host, no cleaning up that the kernel does by itself.
#
#   script-jail.sh CMD [ARG...]
set -e
id=$$
router=router$id jail=jail$id link=sj$id
a=$((id / 256 % 256)) b=$((id % 256))
v4=10.201.$a.$b v6=$(printf 'fd6e:6b00::%x' "$id")

ip netns add "$router"
ip netns add "$jail"
trap 'ip netns del "$jail"; ip netns del "$router"' EXIT
ip netns exec "$router" sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
ip netns exec "$router" nft -f - <<EOF
table inet netjail {
  counter allowed { }
  counter denied { }
  set local4 { type ipv4_addr; flags interval; elements = { 0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8,
               169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16, 224.0.0.0/3 } }
  set local6 { type ipv6_addr; flags interval; elements = { ::/127, fc00::/7, fe80::/10, ff00::/8 } }
  set allow4 { type ipv4_addr; flags interval; elements = { 198.51.100.0/24, 203.0.113.0/24 } }
  set allow6 { type ipv6_addr; flags interval; elements = { 2001:db8::/32 } }
  set learned4 { type ipv4_addr . inet_service; size 65536; flags timeout; }
  set learned6 { type ipv6_addr . inet_service; size 65536; flags timeout; }
  chain refuse {
    counter name "denied" log group 1
    meta l4proto tcp reject with tcp reset
    reject with icmpx admin-prohibited
  }
  chain prerouting {
    type filter hook prerouting priority raw; policy accept;
    iifname "jail" ip saddr != $v4 drop
    iifname "jail" ip6 saddr != $v6 drop
    fib daddr type != unicast drop
  }
  chain input { type filter hook input priority filter; policy drop; }
  chain output {
    type filter hook output priority filter; policy drop;
    oifname "jail" meta nfproto ipv4 accept
    oifname "jail" meta nfproto ipv6 accept
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state invalid drop
    oifname "jail" ct direction reply accept
    iifname != "jail" drop
    ct mark 7 counter name "allowed" accept
    tcp dport 53 goto refuse
    udp dport 53 goto refuse
    tcp dport 853 goto refuse
    udp dport 853 goto refuse
    ip daddr @local4 goto refuse
    ip6 daddr @local6 goto refuse
    ip daddr @allow4 tcp dport 443 ct mark set 7 counter name "allowed" accept
    ip daddr @allow4 udp dport 443 ct mark set 7 counter name "allowed" accept
    ip6 daddr @allow6 tcp dport 443 ct mark set 7 counter name "allowed" accept
    ip6 daddr @allow6 udp dport 443 ct mark set 7 counter name "allowed" accept
    ip daddr . th dport @learned4 ct mark set 7 counter name "allowed" accept
    ip6 daddr . th dport @learned6 ct mark set 7 counter name "allowed" accept
    goto refuse
  }
}
EOF
ip link add name jail netns "$router" numtxqueues 1 numrxqueues 1 type veth \
  peer name eth0 netns "$jail" numtxqueues 1 numrxqueues 1
ip link add name "$link" numtxqueues 1 numrxqueues 1 type veth \
  peer name uplink netns "$router" numtxqueues 1 numrxqueues 1
mac=$(cat "/sys/class/net/$link/address")
ip -n "$router" -batch - <<EOF
link set jail address $mac arp off up
link set uplink address $mac arp off up
addr add 192.0.0.8/32 dev jail
route add $v4 dev jail
route add $v6 dev jail
route add default dev uplink
route add ::/0 dev uplink
EOF
ip -n "$jail" -batch - <<EOF
link set lo up
link set eth0 address $mac arp off up
addr add $v4/32 dev eth0
addr add $v6/128 dev eth0 nodad
route add default dev eth0
route add ::/0 dev eth0
EOF
ip -batch - <<EOF
link set $link arp off up
route add $v4 dev $link
route add $v6 dev $link
EOF
echo 1 > "/proc/sys/net/ipv4/conf/$link/forwarding"
ip netns exec "$jail" unshare --pid --mount --ipc --fork --mount-proc \
  setpriv --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
