#!/bin/sh
# What a machine of its own does from its start to its end (flaky_machine.h). Its root is the
# host's, to be read only; $WORK, named on the kernel's command line, is where both write.
#
#   $WORK/step  "run": the workload runs on each disk of the plan, which breaks at its moment
#               "judge": each disk, sound again, is mounted as it was left, and judged
#   $WORK/plan  lines of: disk, file system, fault, moment (MARK or FLUSH), its number, look, seed,
#               operations, mutant, option; with a look other than none the disk is judged before the
#               end, too, when it is sound again
#
# For disk a, run leaves marks-a, errors-a, status-a, shown-a and stale-a, judge leaves verdict-a.
# The end is a crash: nothing that is only in memory survives it.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc none /proc
mount -t sysfs none /sys
mkdir /dev/work /dev/shm /dev/disk
mount -t tmpfs none /dev/shm
mount -t hostfs none /dev/work -o "$WORK"
cd /dev/work || exit
modules=/usr/lib/uml/modules/$(uname -r)/kernel/drivers/md
insmod "$modules/dm-mod.ko"
insmod "$modules/dm-flakey.ko"

run() {
  size=$(blockdev --getsz "/dev/ubd$disk")
  dmsetup create "disk$disk" --table "0 $size linear /dev/ubd$disk 0"
  node=/dev/dm-$(dmsetup info -c --noheadings -o minor "disk$disk")
  # Made ready, so that the break itself is one step.
  dmsetup load "disk$disk" --table "0 $size flakey /dev/ubd$disk 0 0 3600 1 $fault"
  : > "marks-$disk"
  mount -t "$filesystem" "$node" /dev/disk || return
  env "BOBBIN_POWER_LOSS_AT_$moment=$number" LD_PRELOAD=/dev/work/marker \
    BOBBIN_POWER_LOSS_LOG=/dev/work/marks-$disk \
    BOBBIN_POWER_LOSS_MUTANT=$mutant \
    BOBBIN_POWER_LOSS_COMMAND="dmsetup resume --noflush --nolockfs disk$disk" \
    timeout -s KILL 60 ./workload /dev/disk "$seed" "$operations" $option 2> "errors-$disk"
  echo "$? $(dmsetup table "disk$disk" | cut -d ' ' -f 3)" > "status-$disk"
  if [ "$look" != none ]; then
    dmsetup load "disk$disk" --table "0 $size linear /dev/ubd$disk 0"
    dmsetup resume --noflush --nolockfs "disk$disk"
    timeout -s KILL 60 ./judge /dev/disk "marks-$disk" "$look" > "shown-$disk" 2> "stale-$disk"
  fi
  umount -l /dev/disk
}

judge() {
  : > "verdict-$disk"
  mount -t "$filesystem" "/dev/ubd$disk" /dev/disk || return
  timeout -s KILL 60 ./judge /dev/disk "marks-$disk" trust > "verdict-$disk" 2>&1
  umount -l /dev/disk
}

step=$(cat step)
while read -r disk filesystem fault moment number look seed operations mutant option; do
  echo "$step: $disk $filesystem $fault from $moment $number"
  "$step"
done < plan
echo "$step" > done
sync -f done
