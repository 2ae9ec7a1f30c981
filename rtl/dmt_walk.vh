// SPDX-License-Identifier: Apache-2.0
// What a walk knows between two answers, beside its request: fields of the
// word that dmt_contexts keeps, dmt_walk_step reads and dmt_route completes.
// Instances without second stages keep the first DMT_WALK_NATIVE_W bits; the
// rest reads zero there, so the codes below make zero mean "entering frame".
`ifndef DMT_WALK_VH
`define DMT_WALK_VH

// Frames: the entering stage, and second stages 0 and 1.
`define DMT_FRAME_V             2'd0
`define DMT_FRAME_S0            2'd1
`define DMT_FRAME_S1            2'd2
// Owner of a second stage's translation: a frame, or the final access.
`define DMT_OWNER_FINAL         2'd3

`define DMT_WALK_SECOND         0           // second pass
`define DMT_WALK_NEED           1           // an entry so far lacks A or D
`define DMT_WALK_EXCL           2           // the read is exclusive
`define DMT_WALK_TEA            3           // the read is a TEA fetch
`define DMT_WALK_LAST           5:4         // number of its last read
`define DMT_WALK_PATH0          7:6         // path_e of stage 0
`define DMT_WALK_INDEX0         13:8        // register of its last TEA fetch
`define DMT_WALK_NATIVE_W       14

`define DMT_WALK_FRAME          15:14       // whose entry is being read
`define DMT_WALK_OWNER0         17:16
`define DMT_WALK_OWNER1         19:18
`define DMT_WALK_SHADOW         20          // S1 is on the shadow table
`define DMT_WALK_PATH1          22:21
`define DMT_WALK_PATH2          24:23
`define DMT_WALK_INDEX1         30:25
`define DMT_WALK_INDEX2         36:31
`define DMT_WALK_A0             88:37       // address that S0 translates
`define DMT_WALK_A1             140:89      // address that S1 translates
// What V and S1 wait for while a frame below locates their entry.
`define DMT_WALK_V_LEVEL        143:141
`define DMT_WALK_V_RIGHTS       147:144
`define DMT_WALK_V_TEA          148
`define DMT_WALK_V_INDEX        154:149
`define DMT_WALK_V_LEFT         157:155     // sizes not yet fetched (T1')
`define DMT_WALK_S1_LEVEL       160:158
`define DMT_WALK_S1_RIGHTS      164:161
`define DMT_WALK_S1_TEA         165
`define DMT_WALK_S1_INDEX       171:166
`define DMT_WALK_S1_LEFT        174:172
// Rights with which each second stage located the entry being read; all ones
// when it was not asked.
`define DMT_WALK_LOC0           178:175
`define DMT_WALK_LOC1           182:179
// What the leaves of the final access yielded so far.
`define DMT_WALK_SIZE           184:183
`define DMT_WALK_RIGHTS         188:185     // {NR, X, U, W}
`define DMT_WALK_PKEY           192:189
`define DMT_WALK_MEMTYPE        195:193     // {PAT, PCD, PWT}
`define DMT_WALK_GLOBAL         196
`define DMT_WALK_DIRTY          197
`define DMT_WALK_W              198

// One second stage's control: {MBEC, AD, FIVE, FORMAT}, as in S2CTL.
`define DMT_S2_FORMAT           0
`define DMT_S2_FIVE             1
`define DMT_S2_AD               2
`define DMT_S2_MBEC             3

// What dmt_entry finds out of an answer, for dmt_walk_step.
`define DMT_ENTRY_LOST          0           // the exclusive write was not done
`define DMT_ENTRY_BUS           1           // what is judged is a bus error
`define DMT_ENTRY_UNDECIDED     2           // of a TEA fetch: neither error nor leaf
`define DMT_ENTRY_EPT           3           // it is an entry of EPT
`define DMT_ENTRY_PRESENT       4
`define DMT_ENTRY_LEAF          5
`define DMT_ENTRY_RESERVED      6
`define DMT_ENTRY_ACCESSED      7
`define DMT_ENTRY_DIRTY         8
`define DMT_ENTRY_GLOBAL        9
`define DMT_ENTRY_RESP          11:10       // AXI response of what is judged
`define DMT_ENTRY_KEY_USER      13:12       // {WD, AD} of its key, of PKRU
`define DMT_ENTRY_KEY_SUPER     15:14       // the same of PKRS
`define DMT_ENTRY_X_MEMTYPE     18:16       // of the entering stage, or of NPT
`define DMT_ENTRY_E_MEMTYPE     22:19       // of EPT
`define DMT_ENTRY_PKEY          26:23
`define DMT_ENTRY_OWN           30:27       // rights of its own: {XU, X, R or U, W}
`define DMT_ENTRY_ABOVE         34:31       // rights of levels above, or allow bits
`define DMT_ENTRY_LEVEL         37:35
`define DMT_ENTRY_INDEX         43:38       // of the TEA register
`define DMT_ENTRY_PFN           83:44       // frame
`define DMT_ENTRY_ADDR          132:84      // where it was read, by 8 bytes
`define DMT_ENTRY_WORD          196:133     // the entry itself
`define DMT_ENTRY_W             197

`endif
