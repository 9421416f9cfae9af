# ---- Claims: what starts neither listens nor holds memory yet, and others may start beside it -----------
# A folder for all users of the machine has a link for each port and GPU in use, NAME -> PID:START:BOOT:UID:PERCENT:RUN/UNIT.  One whose
# process is gone counts for nothing.  vLLM binds with SO_REUSEPORT: two servers of one user would share a port and its requests.
CLAIMS='' CLAIMED_AS=()
lock_claims() { # -> CLAIMS, TURN (to be closed); false where there is no such place
  CLAIMS=${U_CALLER[TOOLORCH_CLAIMS]:-/tmp/toolorch-claims}
  # Sticky: what is one's is taken away by nobody else.
  [[ -d $CLAIMS ]] || mkdir -m 1777 -- "$CLAIMS" 2>/dev/null
  [[ -d $CLAIMS && ! -L $CLAIMS && -r $CLAIMS && -w $CLAIMS ]] && { exec {TURN}<"$CLAIMS"; } 2>/dev/null || return 1
  flock -w 3 "$TURN"
  return 0
}
is_over() { # PID:START:BOOT:…
  local pid start boot rest
  IFS=: read -r pid start boot rest <<<"$1"
  [[ $boot != "$BOOT" ]] || ! alive "$pid" "$start"
}
holder() { # PID:START:BOOT:UID:PERCENT:RUN/UNIT of OWNER (a user id) -> HOLDS, HOLDER; false unless its process lives and is another unit's
  local pid start boot uid is_of
  IFS=: read -r pid start boot uid HOLDS is_of <<<"$1"
  [[ $pid == +([0-9]) && $HOLDS == +([0-9]) && $boot == "$BOOT" && $is_of != "$RUN/$U_UNIT" ]] && alive "$pid" "$start" || return 1
  # Nobody speaks for another's process.
  [[ $uid == "$2" && $(stat -c %u -- "/proc/$pid" 2>/dev/null) == "$uid" ]] || return 1
  HOLDER="\`${is_of#*/}\` of run \`${is_of%%/*}\` (pid $pid of $(id -nu "$uid" 2>/dev/null || echo "user id $uid"))"
  HOLDER=${HOLDER//[$'\001'-$'\037'$'\177']/?}
}
put_claims() { # PID START: ours are that process's from now on
  local name
  for name in "${CLAIMED_AS[@]}"; do
    ln -sfn -- "$1:$2:$BOOT:$UID:${U_SHARE:-0}:$RUN/$U_UNIT" "$CLAIMS/.new.$name" && mv -fT -- "$CLAIMS/.new.$name" "$CLAIMS/$name"
  done 2>/dev/null
}
drop_claims() { ((${#CLAIMED_AS[@]} == 0)) || rm -f -- "${CLAIMED_AS[@]/#/$CLAIMS/}"; }
claim() { # the port and the GPUs; refuses with 69 what another has
  local TURN all line name uid text port gpu at=any gpus=${S[gpus]} ports=" $U_PORT ${U_MORE_PORTS[*]} "; local -A taken=()
  [[ -n $U_PORT || -n $U_SHARE ]] && lock_claims || return 0
  [[ $U_HOST == 127.* ]] && at=$U_HOST
  # SLURM gives GPUs to jobs, and numbers them anew in each.
  [[ -z $U_SHARE || -n ${SLURM_JOB_ID-} ]] && gpus=''
  mapfile -t all < <(find "$CLAIMS" -maxdepth 1 -type l -printf '%f %U %l\n' 2>/dev/null)
  for line in "${all[@]}"; do
    read -r name uid text <<<"$line"
    if [[ $uid == "$UID" ]] && is_over "$text"; then rm -f -- "$CLAIMS/$name"; continue; fi
    case $name in
      port-*)
        port=${name#port-*-}; port=${port%%.*}
        [[ $ports == *" $port "* ]] && [[ $at == any || $name == port-any-* || $name == port-"$at"-* ]] && holder "$text" "$uid" || continue
        refuse 69 "port $port is taken by $HOLDER, which does not listen yet" ;;
      gpu-*)
        # What its own run has on a GPU is in the plan.
        gpu=${name#gpu-}; gpu=${gpu%%.*}
        [[ ",$gpus," == *",$gpu,"* && $text != *:"$RUN"/* ]] && holder "$text" "$uid" || continue
        taken[$gpu]=$((${taken[$gpu]:-0} + HOLDS))
        ((taken[$gpu] + U_SHARE <= 100)) || refuse 69 "GPU $gpu is taken to $HOLDS % by $HOLDER, and \`$U_UNIT\` wants $U_SHARE %" ;;
    esac
  done
  for port in $ports; do CLAIMED_AS+=("port-$at-$port.$UID.$RUN.$U_UNIT"); done
  for gpu in ${gpus//,/ }; do CLAIMED_AS+=("gpu-$gpu.$UID.$RUN.$U_UNIT"); done
  put_claims "$$" "${S[super_start]}"
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
