// The file `clean` beside a data.mdb: that whoever closed the database last found it sound
// (engine/kv/lmdb_engine.h, Damage). It vouches for one state of one file only, so a mark that is
// stale, torn or lost costs a walk and nothing else.
#pragma once

#include <filesystem>

namespace bobbin::kv {

// False also when there is anything it cannot find out.
bool IsMarkedClean(const std::filesystem::path& directory);

// Whether another process has it open: then that vouches, and there is no mark. Nobody of this
// process may have it open: looking would drop LMDB's locks.
bool IsOpenElsewhere(const std::filesystem::path& directory);

// Does its best: no mark is no error.
void MarkClean(const std::filesystem::path& directory);

}  // namespace bobbin::kv
