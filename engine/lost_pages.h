// What a program does when a page of the database is gone from under it: data.mdb was cut off while
// it was open, or the disk cannot read it. The system says so by SIGBUS, in the middle of anything.
#pragma once

namespace bobbin {

inline constexpr int kExitLostPages = 74;  // EX_IOERR

// From now on such a SIGBUS ends the program at once, with kExitLostPages and a line on standard
// error that begins with `program` and says what has happened and what to do. Nothing more is
// acknowledged, nothing is written. A SIGBUS for another reason ends it as ever. `program` must
// live as long as the process. Once per process, before it opens a database.
void EndOnLostPages(const char* program);

}  // namespace bobbin
