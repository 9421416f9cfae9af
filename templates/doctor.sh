#!/usr/bin/env bash
# What `toolorch doctor` asks a machine, all in one call.  It reads, and changes nothing.  By hand:
#   bash doctor.sh QUESTION…        each question is a word with its operands:
#     gpus                          (only as the first) GPUs, and who uses their memory
#     path PATH                     what stands there
#     programs 'NAME…'              which of them does PATH not have?
#     disk PATH                     the space of its file system
#     port PORT                     who listens there
#     env KIND NAME WANT            `conda NAME`, `venv PATH` or `path -`: is it there, with which vLLM; WANT is `flags`,
#                                   `release` or `-`
#     known KEY                     the flags of this installation are known; its help takes half a minute of imports
#     slurm NODE, partition NAME    what SLURM says of it
# One line for each answer, its fields apart by tabs; `end` is the last one, so that a cut answer is known as one.
# shellcheck disable=SC2088
export LC_ALL=C
declare -A KNOWN=()
say() {
  local word line=''
  for word; do line+=$'\t'${word//[$'\001'-$'\037'$'\177']/?}; done
  printf '%s\n' "${line:1}"
}
now_ms() { if [[ -n ${EPOCHREALTIME-} ]]; then NOW=${EPOCHREALTIME/[.,]/}; NOW=${NOW%???}; else NOW=$(date +%s)000; fi; }
here() { case $1 in '~') PLACE=$HOME ;; '~/'*) PLACE=$HOME/${1#'~/'} ;; *) PLACE=$1 ;; esac; }
above() { # PATH -> PLACE: the nearest folder that is there
  PLACE=$1
  until [[ -e $PLACE || -z $PLACE ]]; do PLACE=${PLACE%/*}; done
  [[ -n $PLACE ]] || PLACE=/
}
who() { # PID -> OWNER, MARK, COMMAND; each empty where it cannot be seen
  local words=() pair
  OWNER='' MARK='' COMMAND=''
  [[ -d /proc/$1 ]] || return 0
  OWNER=$(stat -c %U -- "/proc/$1" 2>/dev/null)
  mapfile -d '' -t words 2>/dev/null <"/proc/$1/cmdline"
  COMMAND="${words[*]:0:8}" COMMAND=${COMMAND:0:120}
  while IFS= read -r -d '' pair; do
    if [[ $pair == TOOLORCH_UNIT=* ]]; then MARK=${pair#*=}; fi
  done 2>/dev/null <"/proc/$1/environ"
}
machine() {
  local name value total='' free=''
  say host "$HOSTNAME" "$(id -un 2>/dev/null)" "$HOME" "$(nproc 2>/dev/null)"
  while read -r name value _; do
    case $name in MemTotal:) total=$value ;; MemAvailable:) free=$value ;; esac
  done </proc/meminfo
  say memory "$total" "$free"
  say nofile "$(ulimit -Sn)" "$(ulimit -Hn)"
}
smi() { # QUERY -> SMI; false, with WHY
  local code
  # A driver that complains without end is cut off.
  SMI=$(set -o pipefail; timeout 15 nvidia-smi "$1" --format=csv,noheader,nounits 2>&1 | head -c 65536) && return 0
  code=$? WHY="nvidia-smi ended with $code: ${SMI%%$'\n'*}"
  ((code == 124)) && WHY='nvidia-smi did not answer within 15 s'
  return 1
}
gpus() {
  local line uuid pid used
  type -P nvidia-smi >/dev/null || { say no-gpus 'there is no nvidia-smi'; return; }
  smi --query-gpu=index,uuid,name,memory.total,memory.used,driver_version || { say no-gpus "$WHY"; return; }
  while IFS= read -r line; do say gpu "$line"; done <<<"$SMI"
  smi --query-compute-apps=gpu_uuid,pid,used_memory || { say no-apps "$WHY"; return; }
  while IFS=', ' read -r uuid pid used; do
    [[ $pid =~ ^[0-9]+$ ]] || continue
    who "$pid"; say app "$uuid" "$pid" "$used" "$OWNER" "$MARK" "$COMMAND"
  done <<<"$SMI"
}
look_at_programs() {
  local name names
  read -ra names <<<"$1"
  for name in "${names[@]}"; do type -P -- "$name" >/dev/null || say no-program "$name"; done
}
look_at_path() {
  local kind=other
  here "$1"
  if [[ -d $PLACE ]]; then kind=directory
  elif [[ -f $PLACE ]]; then kind='file'
  elif [[ ! -e $PLACE ]]; then
    above "$PLACE"
    if [[ -x $PLACE ]]; then kind=absent; else kind=hidden; fi
  fi
  say path "$1" "$kind"
}
look_at_disk() {
  local fields
  here "$1"; above "$PLACE"
  mapfile -t fields < <(timeout 10 df -Pk -- "$PLACE" 2>/dev/null)
  read -ra fields <<<"${fields[1]-}"
  say disk "$1" "${fields[5]-}" "${fields[3]-}" "${fields[1]-}"
}
look_at_port() {
  local want line fields pid
  printf -v want ':%04X' "$1"
  while IFS= read -r line; do
    read -ra fields <<<"$line"
    [[ ${fields[3]} == 0A && ${fields[1]} == *"$want" ]] || continue
    pid=$(find /proc/[1-9]*/fd -maxdepth 1 -lname "socket:\[${fields[9]}\]" -print -quit 2>/dev/null)
    pid=${pid#/proc/} pid=${pid%%/*}
    if [[ -n $pid ]]; then who "$pid"; else OWNER=$(id -un -- "${fields[7]}" 2>/dev/null) MARK='' COMMAND=''; fi
    say listens "$1" "${fields[1]%:*}" "$pid" "$OWNER" "$MARK" "$COMMAND"
  done < <(grep -shF ' 0A ' /proc/net/tcp /proc/net/tcp6)
  say port "$1"
}
conda_root() {
  local exe=${CONDA_EXE-} dir
  for dir in "${exe%/bin/conda}" "${exe%/condabin/conda}" ~/{miniconda3,miniforge3,mambaforge,anaconda3,micromamba,.conda} /opt/{conda,miniconda3,miniforge3,anaconda3} /usr/local/{conda,miniconda3,anaconda3}; do
    [[ -n $dir && -r $dir/etc/profile.d/conda.sh ]] && { ROOT=$dir; return 0; }
  done
  exe=$(type -P conda) && [[ -r ${exe%/*/conda}/etc/profile.d/conda.sh ]] && ROOT=${exe%/*/conda}
}
prefix_of() { # KIND NAME -> PREFIX; false, with WHY
  local exe line
  here "$2"
  case $1 in
    path)
      exe=$(type -P vllm) || { WHY='PATH has no vllm'; return 1; }
      PREFIX=${exe%/bin/vllm} ;;
    venv)
      PREFIX=$PLACE
      [[ -r $PREFIX/bin/activate ]] || { WHY='it has no bin/activate'; return 1; } ;;
    conda)
      if [[ $PLACE == /* ]]; then PREFIX=$PLACE; [[ -d $PREFIX ]] && return; WHY='there is no such folder'; return 1; fi
      conda_root || { WHY='no conda was found (CONDA_EXE and the usual places)'; return 1; }
      [[ $PLACE == base ]] && { PREFIX=$ROOT; return; }
      for PREFIX in "$ROOT/envs/$PLACE" ~/.conda/envs/"$PLACE"; do [[ -d $PREFIX ]] && return; done
      while IFS= read -r line; do
        PREFIX=${line%/}
        [[ ${PREFIX##*/} == "$PLACE" && -d $PREFIX ]] && return
      done 2>/dev/null <~/.conda/environments.txt
      WHY="there is none of this name under $ROOT/envs"; return 1 ;;
  esac
}
flags_of() { # KIND NAME EXE
  local text
  text=$(
    export PATH=$PREFIX/bin:$PATH CUDA_VISIBLE_DEVICES='' VLLM_NO_USAGE_STATS=1 VLLM_CONFIGURE_LOGGING=0 HF_HUB_OFFLINE=1 \
      PYTHONDONTWRITEBYTECODE=1 COLUMNS=400
    # Both fit into the time that the whole look has.
    timeout 90 "$3" serve --help=all 2>&1 </dev/null || timeout 60 "$3" serve --help 2>&1 </dev/null
  ) || { say no-flags "$1" "$2" "its help failed: ${text##*$'\n'}"; return; }
  mapfile -t text < <(grep -oE -- '--[A-Za-z0-9][A-Za-z0-9_.-]*' <<<"$text" | sort -u)
  say flags "$1" "$2" "${text[*]}"
}
look_at_env() { # KIND NAME WANT
  local exe info text stamp
  prefix_of "$1" "$2" || { say no-env "$1" "$2" "$WHY"; return; }
  say env "$1" "$2" "$PREFIX"
  [[ $3 != - ]] || return 0
  exe=$PREFIX/bin/vllm
  [[ -x $exe ]] || { say no-vllm "$1" "$2" "there is no $exe"; return; }
  info=("$PREFIX"/lib{,64}/python3*/site-packages/vllm-[0-9]*.dist-info)
  for info in "${info[@]}"; do [[ -f $info/METADATA ]] && break; done
  text=$(grep -sm1 '^Version: ' "$info/METADATA") || { say hidden-vllm "$1" "$2" 'its release stands in no METADATA'; return; }
  text=${text#Version: } stamp=$(stat -c %.9Y -- "$info/METADATA")
  stamp="$exe|$text|$stamp"
  say vllm "$1" "$2" "$text" "$stamp"
  if [[ $3 == flags && -z ${KNOWN["$stamp"]-} ]]; then flags_of "$1" "$2" "$exe"; fi
}
look_at_slurm() { # KIND NAME
  local text code
  case $1 in
    slurm) text=$(timeout 15 scontrol -o show node "$2" 2>&1) ;;
    partition) text=$(timeout 15 sinfo -h -p "$2" -o '%P|%a|%l|%D|%T|%G' 2>&1) ;;
  esac
  code=$?
  if ((code)); then say "no-$1" "$2" "${text%%$'\n'*}"; return; fi
  while IFS= read -r text; do say "$1" "$2" "$text"; done <<<"$text"
}
doctor() {
  local NOW PLACE OWNER MARK COMMAND SMI WHY PREFIX ROOT
  now_ms; say begin "$NOW"
  machine
  if [[ ${1-} == gpus ]]; then shift; gpus; fi
  while (($#)); do
    case $1 in
      programs) look_at_programs "$2"; shift 2 ;;
      path) look_at_path "$2"; shift 2 ;;
      disk) look_at_disk "$2"; shift 2 ;;
      port) look_at_port "$2"; shift 2 ;;
      known) KNOWN["$2"]=1; shift 2 ;;
      env) look_at_env "$2" "$3" "$4"; shift 4 ;;
      slurm | partition) look_at_slurm "$1" "$2"; shift 2 ;;
      *) say unknown-question "$1"; shift ;;
    esac
  done
  now_ms; say end "$NOW"
}
doctor "$@"; exit
