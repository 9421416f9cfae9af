# ---- Claims: what starts neither listens nor holds memory yet, and others may start beside it -----------
# A folder for all users of the machine has a link for each unit, UID.RUN.UNIT -> PID:START:BOOT:UID:ADDRESS:PORTS:GPUS:PERCENT:RUN/UNIT.  One
# whose process is gone counts for nothing.  vLLM binds with SO_REUSEPORT: two servers of one user would share a port and its requests.
CLAIMS='' MY_CLAIM=''
lock_claims() { # -> CLAIMS, TURN (to be closed); false where there is no such place
  CLAIMS=${U_CALLER[TOOLORCH_CLAIMS]:-/tmp/toolorch-claims}
  # Sticky: what is one's is taken away by nobody else.
  [[ -d $CLAIMS ]] || mkdir -m 1777 -- "$CLAIMS" 2>/dev/null
  if ! may_claim; then
    say "\`$CLAIMS\` cannot be used: what other users are about to start here is not seen"
    CLAIMS=${U_CALLER[TOOLORCH_STATE]:-/tmp/toolorch-$UID}/.claims
    mkdir -p -- "$CLAIMS" 2>/dev/null
    may_claim || return 1
  fi
  exec {TURN}<"$CLAIMS"
  flock -w 3 "$TURN"
  return 0
}
may_claim() { [[ -d $CLAIMS && ! -L $CLAIMS && -r $CLAIMS && -w $CLAIMS && -x $CLAIMS ]]; }
holder() { # the text of a link, and its owner's user id -> AT, PORTS, GPUS_TAKEN, HOLDS, HOLDER; false unless its process lives and is another unit's
  local pid start boot uid is_of
  IFS=: read -r pid start boot uid AT PORTS GPUS_TAKEN HOLDS is_of <<<"$1"
  if [[ $pid != +([0-9]) || $boot != "$BOOT" ]] || ! alive "$pid" "$start"; then
    [[ $2 != "$UID" ]] || rm -f -- "$CLAIMS/$3"
    return 1
  fi
  # Nobody speaks for another's process.
  [[ $HOLDS == +([0-9]) && $is_of != "$RUN/$U_UNIT" && $uid == "$2" && $(stat -c %u -- "/proc/$pid" 2>/dev/null) == "$uid" ]] || return 1
  HOLDER="\`${is_of#*/}\` of run \`${is_of%%/*}\` (pid $pid of $(id -nu "$uid" 2>/dev/null || echo "user id $uid"))"
  HOLDER=${HOLDER//[$'\001'-$'\037'$'\177']/?}
  # What its own run has on a GPU is in the plan.
  [[ ${is_of%%/*} != "$RUN" ]] || GPUS_TAKEN=''
}
drop_claims() { [[ -z $MY_CLAIM ]] || rm -f -- "$CLAIMS/$MY_CLAIM"; }
claim() { # the ports and the GPUs; refuses with 69 what another has
  local TURN all line name uid text port gpu AT PORTS GPUS_TAKEN HOLDS HOLDER at=any gpus=${S[gpus]} ports="$U_PORT ${U_MORE_PORTS[*]}"; local -A taken=()
  [[ -n $U_PORT || -n $U_SHARE ]] && lock_claims || return 0
  [[ $U_HOST == 127.* ]] && at=$U_HOST
  # SLURM gives GPUs to jobs, and numbers them anew in each.
  [[ -z $U_SHARE || -n ${SLURM_JOB_ID-} ]] && gpus=''
  mapfile -t all < <(find "$CLAIMS" -maxdepth 1 -type l -printf '%f %U %l\n' 2>/dev/null)
  for line in "${all[@]}"; do
    read -r name uid text <<<"$line"
    holder "$text" "$uid" "$name" || continue
    for port in $ports; do
      [[ ",$PORTS," == *",$port,"* && ($at == any || $AT == any || $AT == "$at") ]] || continue
      refuse 69 "port $port is taken by $HOLDER, which does not listen yet"
    done
    for gpu in ${gpus//,/ }; do
      [[ ",$GPUS_TAKEN," == *",$gpu,"* ]] || continue
      taken[$gpu]=$((${taken[$gpu]:-0} + HOLDS))
      ((taken[$gpu] + U_SHARE <= 100)) || refuse 69 "GPU $gpu is taken to $HOLDS % by $HOLDER, and \`$U_UNIT\` wants $U_SHARE %"
    done
  done
  ports=${ports%% }; MY_CLAIM=$UID.$RUN.$U_UNIT
  ln -sfn -- "$$:${S[super_start]}:$BOOT:$UID:$at:${ports// /,}:$gpus:${U_SHARE:-0}:$RUN/$U_UNIT" "$CLAIMS/.new.$MY_CLAIM" 2>/dev/null &&
    mv -fT -- "$CLAIMS/.new.$MY_CLAIM" "$CLAIMS/$MY_CLAIM" 2>/dev/null
  exec {TURN}<&-
}

# vLLM does not start where less is free than its share of a GPU (gpu_worker.py, "Free memory on device"), and says so after a minute.
gpu_room() { # refuses with 69 where that is so, and names who has it; memory that no process has may be on its way back
  local tries held WHY=
  [[ -n $U_SHARE && -n ${S[gpus]} ]] && type -P nvidia-smi >/dev/null || return 0
  for ((tries = 0; tries < 30; tries++)); do
    is_short || return 0
    [[ -z $held ]] || break
    nap 1
  done
  refuse 69 "$WHY"
}
is_short() { # -> WHY, held
  local line index uuid total free pid used who
  held=
  while IFS=', ' read -r index uuid total free; do
    [[ ",${S[gpus]}," == *",$index,"* || ",${S[gpus]}," == *",$uuid,"* ]] || continue
    [[ $total == +([0-9]) && $free == +([0-9]) ]] && ((free * 100 < total * U_SHARE)) || continue
    while IFS=', ' read -r line pid used; do
      [[ $line == "$uuid" && $pid == +([0-9]) && $used == +([0-9]) ]] || continue
      who=$(ps -o user=,args= -p "$pid" 2>/dev/null); who=${who//[$'\001'-$'\037'$'\177']/?}
      held+="${held:+, }pid $pid (${who:0:80}) $(gib "$used")"
    done < <(timeout 10 nvidia-smi --query-compute-apps=gpu_uuid,pid,used_memory --format=csv,noheader,nounits 2>/dev/null)
    WHY="GPU $index has $(gib "$free") of $(gib "$total") free, and \`$U_UNIT\` wants $U_SHARE %; in use: ${held:-by no process that can be seen}"
    return 0
  done < <(timeout 10 nvidia-smi --query-gpu=index,uuid,memory.total,memory.free --format=csv,noheader,nounits 2>/dev/null)
  return 1
}
gib() { printf '%d.%d GiB' $(($1 / 1024)) $(($1 % 1024 * 10 / 1024)); }
