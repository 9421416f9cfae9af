# ---- Sockets -----------------------------------------------------------------------------------------
hex4() { local a b c d; IFS=. read -r a b c d <<<"$1"; printf -v HEX '%02X%02X%02X%02X' "$d" "$c" "$b" "$a"; }
read_net() { # [INODE…] -> NET: lines of listeners and of these sockets, in one look (the kernel takes 7 ms for each)
  mapfile -t NET < <(grep -shF -e ' 0A ' -f <((($#)) && printf ' %s \n' "$@") /proc/net/tcp /proc/net/tcp6)
}
declare -A SOCKETS=() NET_OF=()
look_at_net() { # PID… -> SOCKETS[pid]: inodes of its sockets, NET_OF[inode]: the kernel's line for it
  local pid dirs lines line f; local -A all=()
  (($#)) || return
  dirs=("${@/#//proc/}"); dirs=("${dirs[@]/%//fd}")
  mapfile -t lines < <(find "${dirs[@]}" -maxdepth 1 -lname 'socket:*' -printf '%h %l\n' 2>/dev/null)
  for pid; do SOCKETS[$pid]=''; done
  for line in "${lines[@]}"; do
    pid=${line#/proc/}; pid=${pid%%/*}; line=${line##*[}; line=${line%]}
    SOCKETS[$pid]+=" $line" all[$line]=1
  done
  ((${#all[@]})) || return
  read_net "${!all[@]}"
  for line in "${NET[@]}"; do f=($line); NET_OF[${f[9]}]=$line; done
}
listeners() { # [PORT], of NET -> LISTEN=("port inode uid address" …)
  local line want='' f
  LISTEN=()
  [[ -n ${1-} ]] && printf -v want '%04X' "$1"
  for line in "${NET[@]}"; do
    f=($line)
    [[ ${f[3]} == 0A && (-z $want || ${f[1]#*:} == "$want") ]] && LISTEN+=("$((16#${f[1]#*:})) ${f[9]} ${f[7]} ${f[1]%:*}")
  done
}
conflicts() { # ADDRESS (hex, of a listener on our port): would our own bind fail?
  local mine=$U_HOST
  [[ $1 =~ ^0+$ ]] && return 0
  case $mine in '' | 0.0.0.0 | '::' | '[::]') return 0 ;; esac
  if [[ $mine != +([0-9]).+([0-9]).+([0-9]).+([0-9]) ]]; then
    mine=$(getent ahostsv4 "$mine" 2>/dev/null); mine=${mine%% *}
    [[ -n $mine ]] || return 0
  fi
  hex4 "$mine"
  [[ $1 == "$HEX" || $1 == *"FFFF0000$HEX" ]]
}
socket_owner() { # INODE [PID…] -> OWNER, its pid; false where it cannot be seen
  local inode=$1 dirs path; shift
  if (($#)); then dirs=("${@/#//proc/}"); dirs=("${dirs[@]/%//fd}"); else dirs=(/proc/[1-9]*/fd); fi
  path=$(find "${dirs[@]}" -maxdepth 1 -lname "socket:\[$inode\]" -print -quit 2>/dev/null)
  OWNER=${path#/proc/}; OWNER=${OWNER%%/*}
  [[ -n $OWNER ]]
}
peek_at() { # PORT: begins to look whether it is free, in the background
  KNOCK=
  if [[ $U_HOST == +([0-9]).+([0-9]).+([0-9]).+([0-9]) && $U_HOST != 0.0.0.0 ]]; then
    # Refused in no time if nobody listens there; reading the kernel's table of sockets takes 15 ms.
    exec {PEEK}< <(if { exec 3<>"/dev/tcp/$U_HOST/$1"; } 2>/dev/null; then echo taken; else echo free; fi)
    KNOCK=$!
  else exec {PEEK}< <(grep -shF ' 0A ' /proc/net/tcp /proc/net/tcp6); fi
}
port_taken() { # -> WHY, when somebody listens where we would
  local entry port inode uid address command answer=''
  if [[ -n $KNOCK ]]; then
    IFS= read -rt 0.3 answer <&"$PEEK"
    [[ $answer == free ]] && return 1
    kill -KILL "$KNOCK" 2>/dev/null # a listener whose queue is full keeps it waiting
    read_net
  else mapfile -t NET <&"$PEEK"; fi
  listeners "$1"
  for entry in "${LISTEN[@]}"; do
    read -r port inode uid address <<<"$entry"
    conflicts "$address" || continue
    if socket_owner "$inode"; then
      mapfile -d '' -t command 2>/dev/null <"/proc/$OWNER/cmdline"
      WHY="port $port is in use by pid $OWNER (${command[*]:0:12})"
    else WHY="port $port is in use by a process of user id $uid"; fi
    WHY=${WHY//[$'\001'-$'\037'$'\177']/?}
    return 0
  done
  return 1
}

# ---- Ending all that is ours --------------------------------------------------------------------------
end_all() { # GRACE_MS: TERM, wait, KILL; true when nothing is left.  ENDED: how many there were
  local pid deadline last pause=0.02; local -A told=()
  now_ms; deadline=$((NOW + $1)) last=$((NOW + $1 + 10000)) ENDED=0
  while :; do
    ours; for pid in "${OURS[@]}"; do RECORDED[$pid]=${P_START[$pid]}; done
    # A later owner raises its fence before it starts anything: what was listed before we look at it is not its own.
    if [[ -n ${STOPPING-} ]]; then load_fence; superseded && exit 73; fi
    ((${#OURS[@]})) || return 0
    now_ms
    for pid in "${OURS[@]}"; do
      if ((NOW >= deadline)); then kill -KILL "$pid" 2>/dev/null
      elif [[ ${told[$pid]-} != "${P_START[$pid]}" ]]; then
        told[$pid]=${P_START[$pid]}; ENDED=$((ENDED + 1))
        kill -TERM "$pid" 2>/dev/null; kill -CONT "$pid" 2>/dev/null
      fi
    done
    ((NOW < last)) || { LEFT="${OURS[*]}"; return 1; }
    ((NOW > deadline - $1 + 1000)) && pause=0.1
    while nap "$pause"; now_ms; ((NOW < deadline)); do # cheap looks until all that we know of is gone
      for pid in "${OURS[@]}"; do alive "$pid" "${P_START[$pid]}" && continue 2; done
      break
    done
  done
}
