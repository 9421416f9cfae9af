#!/usr/bin/env bash
# What `toolorch up` asks a machine every 15 s: its load, its memory, and with `gpus` its GPUs. It reads, and changes nothing.
# By hand: bash sample.sh gpus [INDEX=NUMBER,…]    only these GPUs, each under that number
export LC_ALL=C
sample() {
  local name value total='' free='' line cores=0 pair index ids=''; local -A numbers=()
  read -r value _ </proc/loadavg && printf 'load %s\n' "$value"
  # Those of the machine, as its load is: a job may be given a few of them.
  while read -r name _ && [[ $name == cpu* ]]; do [[ $name == cpu ]] || ((cores += 1)); done </proc/stat
  printf 'cores %s\n' "$cores"
  while read -r name value _; do
    case $name in MemTotal:) total=$value ;; MemAvailable:) free=$value ;; esac
  done </proc/meminfo
  printf 'memory %s %s\n' "$free" "$total"
  [[ ${1-} == gpus ]] && type -P nvidia-smi >/dev/null || return 0
  for pair in ${2//,/ }; do numbers[${pair%=*}]=${pair##*=} ids+=,${pair%=*}; done
  while IFS= read -r line; do
    index=${line%%,*}
    [[ -z $ids || -n ${numbers[$index]-} ]] && printf 'gpu %s\n' "${numbers[$index]-$index}${line#"$index"}"
  done < <(
    timeout --kill-after=2 8 nvidia-smi --query-gpu=index,utilization.gpu,memory.used,memory.total --format=csv,noheader,nounits \
      ${ids:+--id="${ids#,}"} 2>/dev/null
  )
}
sample "$@"; exit
